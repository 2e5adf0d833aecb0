"""How files hold rows: one module per family of formats, each with `read(file, contract)`."""
