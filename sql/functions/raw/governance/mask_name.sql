-- Nothing of a name: an initial is all of a name of one letter.
CREATE OR REPLACE FUNCTION {raw}.governance.mask_name(value STRING)
RETURNS STRING
COMMENT 'What a name is to those who may not see it: ***'
RETURN CASE WHEN value IS NOT NULL THEN '***' END;
