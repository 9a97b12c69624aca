/** What takes longer than this hangs, however slow the machine is. Less than a test may take, to say what it was. */
export const HANG_MS = 4 * 60_000
