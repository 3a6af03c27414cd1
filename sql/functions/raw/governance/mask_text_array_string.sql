-- How many there are stays: the number of reasons why a row is in quarantine names nobody.
CREATE OR REPLACE FUNCTION {raw}.governance.mask_text_array_string(value ARRAY<STRING>)
RETURNS ARRAY<STRING>
COMMENT 'What a list of free texts is to those who may not see the personal data in it: a *** each'
RETURN transform(value, each -> CASE WHEN each IS NOT NULL THEN '***' END);
