"""Image quality metrics as the field reports them."""
