// Which roles may do what here. The server's gate decides; this only keeps the console from offering what it would refuse.

export type Act = 'decide' | 'report' | 'note' | 'read ledger'

const MAY: Record<Act, readonly string[]> = {
  decide: ['commander'],
  report: ['operator', 'commander'],
  note: ['operator', 'planner', 'commander', 'administrator'],
  'read ledger': ['operator', 'planner', 'commander', 'auditor'],
}

export const may = (roles: readonly string[], act: Act): boolean => roles.some((role) => MAY[act].includes(role))
