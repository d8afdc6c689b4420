"""Proof after the fact: originals and results compared by another reader than the engine's."""
