/** Labels of agents that keep tasks' folders: that they do, and where; agents of one host can take each other's tasks. */
export const KEEPS_VOLUMES = 'hivebus-volumes';
export const HOST_LABEL = 'hivebus-host';
