// What a user asks, and where in the results the answer is: a chart and a table a question.

import type { Measure } from './results'

/** Groups of suites, each with its results. */
export const groups = ['reach', 'patches', 'transactions', 'site', 'scale'] as const
export type Group = (typeof groups)[number]

export interface Question {
  id: string
  title: string
  /** What is measured. */
  text: string
  from: { group: Group; section: string; cases: RegExp }
  /** Contenders that are shown beside ours: name in the results, and name to show. */
  contenders: Record<string, string>
  of: Measure
  ownScales?: boolean
}

const same = 'fs/promises, same guarantees'
const packages = {
  'write-file-atomic': 'write-file-atomic',
  atomically: 'atomically',
  'fast-write-atomic': 'fast-write-atomic',
  'fs/promises': same,
}
const locked = { 'proper-lockfile + write-file-atomic': 'proper-lockfile + write-file-atomic' }
const alone = /× 1$/
const sixteen = / × 16$/

/** What is answered by a table that a suite makes, and by its chart. */
export interface Growth {
  title: string
  text: string
  from: { group: Group; section: string }
}

export const growth: Growth[] = [
  {
    title: 'How an update grows with its index',
    text:
      'A process that only parses, changes and prints the same text in memory is 1; ours also reads, writes, reads back ' +
      'and flushes.',
    from: { group: 'scale', section: 'size' },
  },
  {
    title: 'How long an update of a big index blocks the event loop',
    text:
      'JSON.parse and JSON.stringify of the same text together are 1. They run on the JavaScript thread, in separate ' +
      'turns of the event loop; everything else runs beside it.',
    from: { group: 'scale', section: 'stall' },
  },
]

export const questions: Question[] = [
  {
    id: 'replace-one',
    title: 'Replacing one file',
    text: 'A file is replaced by one of the same size; each write is awaited before the next.',
    from: { group: 'reach', section: 'replaced', cases: alone },
    contenders: packages,
    of: 'wall',
  },
  {
    id: 'new-one',
    title: 'Writing one new file',
    text: 'Each write makes a new file and is awaited before the next.',
    from: { group: 'reach', section: 'new', cases: alone },
    contenders: packages,
    of: 'wall',
  },
  {
    id: 'replace-many',
    title: 'Replacing 16 files at once',
    text: '16 files are replaced at the same time.',
    from: { group: 'reach', section: 'replaced', cases: sixteen },
    contenders: packages,
    of: 'wall',
  },
  {
    id: 'new-many',
    title: 'Writing 16 new files at once',
    text: '16 new files are written at the same time.',
    from: { group: 'reach', section: 'new', cases: sixteen },
    contenders: packages,
    of: 'wall',
  },
  {
    id: 'pages',
    title: 'Publishing 1,000 pages',
    text: '1,000 pages of 8 KB; the folders exist before. All at once: one call a page, all in one `Promise.all`.',
    from: { group: 'site', section: 'pages', cases: /./ },
    contenders: {
      'atomicWrite, all at once': 'atomicWrite, all at once',
      'write-file-atomic, all at once': 'write-file-atomic, all at once',
      'atomically, all at once': 'atomically, all at once',
      'fs/promises, all at once': `${same}, all at once`,
      'fs.writeFile, all at once': 'fs.writeFile, all at once',
      'fs.writeFile': 'fs.writeFile, one after the other',
    },
    of: 'wall',
  },
  {
    id: 'build',
    title: 'Building a whole site',
    text: 'examples/site renders all Markdown files of `node_modules/`: an HTML, a JSON and a text file a page.',
    from: { group: 'site', section: 'build', cases: /./ },
    contenders: {
      'atomicWriteAll, flush: false': 'atomicWriteAll, flush: false',
      'atomicDirectory, fs.writeFile in it': 'atomicDirectory, fs.writeFile in it',
      'write-file-atomic in a Promise.all': 'write-file-atomic, all at once',
      'fs.writeFile, 16 at a time': 'fs.writeFile, 16 at a time',
    },
    of: 'wall',
  },
  {
    id: 'update-one',
    title: 'Updating a JSON index, one update after the other',
    text:
      'An index of 10,000 records (2 MB); each update is awaited before the next. lowdb reads the index once and keeps ' +
      'it in memory; the others read it for every update.',
    from: { group: 'reach', section: 'updates', cases: /one after the other/ },
    contenders: { lowdb: 'lowdb', ...locked },
    of: 'wall',
  },
  {
    id: 'update-many',
    title: 'Updating a JSON index, 1,000 updates at once',
    text: 'The same index; 1,000 calls are made before the first is awaited. Those that wait share one commit.',
    from: { group: 'reach', section: 'updates', cases: /at once/ },
    contenders: { lowdb: 'lowdb', ...locked },
    of: 'wall',
  },
  {
    id: 'patch',
    title: 'Changing a record of a JSON index',
    text:
      '`atomicIndexPatch` says what is to change, and changes the text: nothing is parsed and printed. 100 changes of an index of 10,000 ' +
      'records (2 MB), one after the other; 1,000 at once; and one change of an index of 1,000,000 records (200 MB).',
    from: { group: 'patches', section: 'patches', cases: /^(100|1,000|one)/ },
    contenders: { atomicIndexUpdate: 'atomicIndexUpdate', lowdb: 'lowdb' },
    of: 'wall',
    ownScales: true,
  },
  {
    id: 'look',
    title: 'Reading a record of a large JSON index',
    text: '`readIndexAt` of one of 1,000,000 records (200 MB): of an index that this process has changed before, and the first look at a file.',
    from: { group: 'patches', section: 'patches', cases: /look/ },
    contenders: { 'JSON.parse(await readFile(path))': 'JSON.parse(await readFile(path))' },
    of: 'wall',
    ownScales: true,
  },
  {
    id: 'processes',
    title: 'Updating a JSON index from 8 processes',
    text: 'Each process makes 100 updates of the same index, all at once or one after the other.',
    from: { group: 'reach', section: 'processes', cases: /./ },
    contenders: locked,
    of: 'wall',
    ownScales: true,
  },
  {
    id: 'slow-disk',
    title: 'On a disk whose flush takes 2 ms',
    text:
      'Every flush of every contender starts 2 ms late, as on a slower disk; files of 1 KB in one directory, an index of ' +
      '1,000 records. At once: each file by a call of its own; in one go: `atomicWriteAll`.',
    from: { group: 'reach', section: 'flushes', cases: /./ },
    contenders: {
      'write-file-atomic': 'write-file-atomic',
      'write-file-atomic, one after the other': 'write-file-atomic, one after the other',
      'atomicWrite, all at once': 'atomicWrite, all at once',
      'write-file-atomic, all at once': 'write-file-atomic, all at once',
      'atomically, all at once': 'atomically, all at once',
      'fs/promises, all at once': `${same}, all at once`,
      lowdb: 'lowdb',
      ...locked,
    },
    of: 'wall',
    ownScales: true,
  },
  {
    id: 'thread',
    title: 'Time on the JavaScript thread',
    text: 'CPU time that the thread which runs JavaScript needs for one write: what is left is free for other work.',
    from: { group: 'reach', section: 'replaced', cases: alone },
    contenders: packages,
    of: 'jsThread',
  },
]
