"""What makes a secret unfit for production."""

EXAMPLE_PREFIX = "change-me"
MIN_LENGTH = 16


def weakness(secret: str) -> str | None:
    """Why a secret is refused outside dev, with the remedy; None for a good one."""
    if secret.startswith(EXAMPLE_PREFIX):
        reason = "is the example's"
    elif len(secret) < MIN_LENGTH:
        reason = f"has under {MIN_LENGTH} characters"
    else:
        return None
    return f"{reason}; make one with: openssl rand -hex 32"
