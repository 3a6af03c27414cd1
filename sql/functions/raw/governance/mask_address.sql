-- Suburb, state and postcode are columns of their own and stay.
CREATE OR REPLACE FUNCTION {raw}.governance.mask_address(value STRING)
RETURNS STRING
COMMENT 'What a street address is to those who may not see it: ***'
RETURN CASE WHEN value IS NOT NULL THEN '***' END;
