"""The Model Context Protocol: tools that look and that ask for changes; none decides or acts."""
