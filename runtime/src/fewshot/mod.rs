//! Learning from a few examples: support set, linear heads, open-set decision.
