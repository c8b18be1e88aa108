"""Training: configuration, losses, the loop, campaigns.

May import `data`, `model` and `runtime`; of `metrics` only PSNR and SSIM.
"""
