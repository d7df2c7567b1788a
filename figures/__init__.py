"""Published figures and tables, one module each: ``FIGURE`` computes, draws and makes claims that can fail."""
