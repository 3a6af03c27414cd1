-- is_account_group_member takes a literal, so each state has its own line. A row without a state is nobody's region.
CREATE OR REPLACE FUNCTION {raw}.governance.in_region(state STRING)
RETURNS BOOLEAN
COMMENT 'Whether whoever asks serves this state: is in its group MT-region-<state>'
RETURN CASE state
  WHEN 'ACT' THEN is_account_group_member('MT-region-ACT')
  WHEN 'NSW' THEN is_account_group_member('MT-region-NSW')
  WHEN 'NT' THEN is_account_group_member('MT-region-NT')
  WHEN 'QLD' THEN is_account_group_member('MT-region-QLD')
  WHEN 'SA' THEN is_account_group_member('MT-region-SA')
  WHEN 'TAS' THEN is_account_group_member('MT-region-TAS')
  WHEN 'VIC' THEN is_account_group_member('MT-region-VIC')
  WHEN 'WA' THEN is_account_group_member('MT-region-WA')
  ELSE FALSE
END;
