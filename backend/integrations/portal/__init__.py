"""The portal itself, called through its public address as a visitor would."""
