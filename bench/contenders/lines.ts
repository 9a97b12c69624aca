// Contenders that append lines to one file, each with its flush.

import { appendFile } from 'node:fs/promises'
import { appendLines } from '@pipeline/atomic'
import { type Guarantees, guarantee } from './guarantees'

export interface Appender extends Guarantees {
  append(path: string, line: string): Promise<unknown>
}

export const lineAppender: Appender = {
  ...guarantee('appendLines', 'fsyncFile', 'fsyncDirectory', 'readBack', 'exclusion'),
  append: (path, line) => appendLines(path, line),
}

/** Lines of two processes may mix, and a full disk leaves a part of one. */
export const fileAppender: Appender = {
  ...guarantee('fs/promises appendFile, flush', 'fsyncFile'),
  append: (path, line) => appendFile(path, `${line}\n`, { flush: true }),
}

export const appenders: Appender[] = [lineAppender, fileAppender]
