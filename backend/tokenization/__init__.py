"""Tokenization: from columns with personal data to tokens in the database, with proof in DataHub."""
