// How a batch is found in a list of system calls: a directory is made before and after it, and its name identifies
// the batch.

export interface Question {
  contender: string
  operations: number
  atOnce: boolean
  /** Of the index; without it files are written. */
  records?: number
  folder: string
}

/** The name of the mark that opens (`begin`) or closes (`end`) a batch. */
export function markOf({ contender, atOnce, records, operations }: Question, which: 'begin' | 'end'): string {
  const what = `${records ? `index ${records}` : 'files'} ${atOnce ? 'at once' : 'in turn'} ${operations}`
  return `mark ${which} ${what} ${contender.replaceAll('/', ' ')}`
}
