-- Whoever can guess an e-mail address or a phone number can hash it, so that a hash shows as much as what it is of.
CREATE OR REPLACE FUNCTION {raw}.governance.mask_hash(value STRING)
RETURNS STRING
COMMENT 'What the hash of personal data is to those who may not see it: ***'
RETURN CASE WHEN value IS NOT NULL THEN '***' END;
