// A row of the table: something that goes wrong, and what each contender makes of it.

export interface Cell {
  /** What was seen, in the few words that fit into a table. */
  seen: string
  /** Nothing was lost, damaged or left behind. */
  good: boolean
}

export interface Row {
  /** What happens. */
  when: string
  /** How it is made to happen, and what is looked at. */
  method: string
  /** Whether it cannot be made to happen by this user; `folder` is empty. */
  needsRoot?(folder: string): boolean
  look(contender: string, place: Place): Promise<Cell>
}

export interface Place {
  /** An empty folder that no other cell uses. */
  folder: string
  /** Fewer rounds: seconds, not a minute. */
  quick: boolean
}

/** How often files were found damaged, and acknowledged writes lost. */
export class Tally {
  private rounds = 0
  private damaged = 0
  private lost = 0

  add(found: { damaged: boolean; lost: boolean }): void {
    this.rounds++
    if (found.damaged) this.damaged++
    if (found.lost) this.lost++
  }

  get good(): boolean {
    return this.damaged + this.lost === 0
  }

  toString(): string {
    if (this.good) return `intact ${this.rounds}/${this.rounds}`
    const share = (what: string, times: number) => (times > 0 ? [`${what} ${times}/${this.rounds}`] : [])
    return [...share('damaged', this.damaged), ...share('lost', this.lost)].join(', ')
  }
}
