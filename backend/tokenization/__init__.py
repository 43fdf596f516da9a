"""Tokenization: from columns with personal data to tokens in place, with proof in DataHub."""
