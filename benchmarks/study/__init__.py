"""What each piece contributes, measured on real photographs."""
