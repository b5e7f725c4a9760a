"""Truth to test autoencoders against: a generated corpus whose concepts are known, and a toy model of superposition."""
