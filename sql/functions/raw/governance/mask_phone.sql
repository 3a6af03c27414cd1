-- Not even the last digits: with suburb and carrier they find the person.
CREATE OR REPLACE FUNCTION {raw}.governance.mask_phone(value STRING)
RETURNS STRING
COMMENT 'What a phone number is to those who may not see it: ***'
RETURN CASE WHEN value IS NOT NULL THEN '***' END;
