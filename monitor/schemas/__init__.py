"""The objects of docs/reference/rest.md: their pydantic declaration, and how rows become them."""
