"""The words that PartiQL's grammar has. Without quotes, none of them is the name of a table or of an attribute.

Source: the lexer of the reference implementation (partiql-lang-kotlin, of the time when it had RETURNING): the keywords
of SQL-92 and its own. They are not DynamoDB's reserved words: ``data`` and ``name`` are names. The service refuses
``m.inner`` in the words of that implementation (captured by others in October 2026).
"""

from __future__ import annotations

_SQL_92 = """
absolute action add all allocate alter and any are as asc assertion at authorization avg begin between bit bit_length by
cascade cascaded case cast catalog char character character_length char_length check close coalesce collate collation
column commit connect connection constraint constraints continue convert corresponding count create cross current
current_date current_time current_timestamp current_user cursor date deallocate dec decimal declare default deferrable
deferred delete desc describe descriptor diagnostics disconnect distinct domain double drop else end escape except
exception exec execute exists external extract false fetch first float for foreign found from full get global go goto
grant group having identity immediate in indicator initially inner input insensitive insert int integer intersect
interval into is isolation join key language last left level like local lower match max min module names national
natural nchar next no not null nullif numeric octet_length of on only open option or order outer output overlaps pad
partial position precision prepare preserve primary prior privileges procedure public read real references relative
restrict revoke right rollback rows schema scroll section select session session_user set size smallint some space sql
sqlcode sqlerror sqlstate substring sum system_user table temporary then time timestamp to transaction translate
translation trim true union unique unknown update upper usage user using value values varchar varying view when whenever
where with work write zone
"""
_OWN = """
can_cast can_lossless_cast missing pivot unpivot limit offset tuple remove index let date_add date_diff integer2 int2
integer4 int4 integer8 int8 bigint conflict do nothing returning modified new old bool boolean string symbol clob blob
struct list sexp bag
"""
KEYWORDS = frozenset((_SQL_92 + _OWN).upper().split())
# Keywords that are operators, with something on their left or on both sides.
OPERATORS = frozenset("AND OR IS IN LIKE BETWEEN UNION EXCEPT INTERSECT".split())
TYPE_NAMES = frozenset("""
MISSING NULL BOOL BOOLEAN SMALLINT INT INT2 INT4 INT8 INTEGER INTEGER2 INTEGER4 INTEGER8 BIGINT FLOAT REAL DEC DECIMAL
NUMERIC TIMESTAMP DATE TIME CHAR CHARACTER VARCHAR STRING SYMBOL CLOB BLOB STRUCT TUPLE LIST SEXP BAG ANY
""".split())
TYPES_OF_TWO_WORDS = frozenset((("DOUBLE", "PRECISION"), ("CHARACTER", "VARYING")))
