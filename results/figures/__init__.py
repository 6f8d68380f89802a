"""The paper's figures: pictures in rows and columns, for the page they are printed on."""
