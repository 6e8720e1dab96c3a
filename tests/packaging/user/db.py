"""The tables of a user's own application, in a module whose name Callboard has for a package of its own."""

from sqlalchemy import BigInteger, Column, MetaData, Table

metadata = MetaData()
orders = Table("orders", metadata, Column("id", BigInteger, primary_key=True))
