"""What commands show: tables, bars, values, errors."""
