"""Find anything that the portal knows by a part of its name: data sets, people, hosts, runs."""
