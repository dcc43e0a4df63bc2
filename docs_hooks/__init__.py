"""How the documentation is made from the code: what mkdocs.yml calls while it builds the site."""
