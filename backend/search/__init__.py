"""Find anything that the portal knows by a part of its name: datasets, people, hosts, runs."""
