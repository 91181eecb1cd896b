"""What makes a secret unfit for production."""

EXAMPLE_PREFIX = "change-me"
MIN_LENGTH = 16
_REMEDY = "make one with: openssl rand -hex 32"


def example(secret: str) -> str | None:
    """Why a secret of the example is refused outside dev, with the remedy; None for another."""
    if secret.lower().startswith(EXAMPLE_PREFIX):
        return f"is the example's; {_REMEDY}"
    return None


def weakness(secret: str) -> str | None:
    """The same for a secret that is all that guards us: it must not be short either."""
    if len(secret) < MIN_LENGTH and not example(secret):
        return f"has under {MIN_LENGTH} characters; {_REMEDY}"
    return example(secret)
