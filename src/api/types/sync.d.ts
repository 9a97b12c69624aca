/** Options of {@link atomicWriteSync}: those of {@link atomicWrite}, without what a call that blocks has no use for. */
export type WriteSyncOptions = Omit<WriteOptions, keyof CloudOptions | 'signal' | 'ifVersion' | 'backup'>

/** Options of {@link readIndexSync}: those of {@link readIndex}, without those of stores. */
export type ReadIndexSyncOptions<T = any> = Omit<ReadIndexOptions<T>, keyof CloudOptions>
