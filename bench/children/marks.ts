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

/** What strace(1) has listed of the last batch of a kind: the flushes, and in how many rounds, each of which is over before the next. */
export function flushesOf(question: Question, lines: string[]): { issued: number; rounds: number } {
  const find = (which: 'begin' | 'end') =>
    lines.findLastIndex((line) => line.includes(`${markOf(question, which)}"`))
  let [issued, rounds, underWay] = [0, 0, 0]
  for (const line of lines.slice(find('begin'), find('end'))) {
    if (/\b(fsync|fdatasync)\(/.test(line)) {
      issued++
      if (underWay === 0) rounds++
      if (line.includes('<unfinished')) underWay++
    } else if (/\b(fsync|fdatasync) resumed/.test(line)) {
      underWay--
    }
  }
  return { issued, rounds }
}
