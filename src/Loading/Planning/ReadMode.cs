namespace IlgpuLoader.Loading;

/// <summary>How bytes come from local files. The values of the tensors are the same in every mode.</summary>
public enum ReadMode
{
    /// <summary>
    /// <see cref="Direct"/> for files that are mostly not in the page cache, on file systems that read from a local disk past it;
    /// else <see cref="Buffered"/>. Never maps. Chosen when a plan is made (<see cref="LoadPlan.FileModes"/>): one that was made over files
    /// that were not cached reads them from the disk each time it is carried out.
    /// </summary>
    /// <remarks>
    /// The choice is made when a load is planned, and is the plan's (<see cref="LoadPlan.FileModes"/>): one that was made while the files
    /// were not cached reads directly every time that it is carried out, also when they are cached by then.
    /// </remarks>
    Auto,

    /// <summary>Positional reads through the page cache: fastest for files that are in it, and they stay in it for the next load.</summary>
    Buffered,

    /// <summary>
    /// Positional reads of aligned blocks past the page cache (O_DIRECT), where the file system has them; else as
    /// <see cref="Buffered"/>. Fastest for files that are not cached; nothing is cached for the next load, and nothing else is
    /// pushed out of the cache.
    /// </summary>
    Direct,

    /// <summary>
    /// The files are mapped into memory. On the host, tensors that are kept as they are stored, and whose bytes lie side by side, are
    /// read-only views of the mapping (<see cref="Gpu.Tensor.IsReadOnly"/>): nothing is copied, and pages come from the file when they are
    /// first touched. Everything else is decoded or copied from the mapping; what is no local file, or is inflated or turned round as it is
    /// read, is read as always.
    /// </summary>
    /// <remarks>
    /// The caller's own choice: who shortens a file while it is mapped ends this process with SIGBUS when a page behind the new end is
    /// touched, and who writes into it changes the tensors. Length and time of the last write are checked when a file is mapped and when
    /// its tensors are handed over; what a load itself reads from a mapping that is too short is an error where the system says so
    /// beforehand (Linux 5.14). A file that is replaced by another (renamed over) stays what it was. The tensors keep the mapping, also
    /// when the checkpoint is closed; nothing can be loaded into them again (<see cref="CheckpointLoader.LoadIntoAsync"/>).
    /// </remarks>
    Mapped,
}
