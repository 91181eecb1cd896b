"""Which release this is: what `/healthz` says, and the label of both images."""

VERSION = "0.1.0"
