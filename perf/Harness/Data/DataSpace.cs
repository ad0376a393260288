namespace IlgpuLoader.Harness;

/// <summary>The room that checkpoints take in the data folder.</summary>
internal static class DataSpace
{
    /// <summary>Sees whether what the scenarios need fits onto the disk.</summary>
    /// <param name="options">Where, and of which size.</param>
    /// <param name="scenarios">What is going to be measured.</param>
    /// <param name="freeBytes">What the disk has free; null to ask it.</param>
    /// <returns>What the data takes, in words.</returns>
    /// <exception cref="UnusableFileException">The folder cannot be made, or its disk has too little room; nothing was written.</exception>
    public static string Check(HarnessOptions options, IEnumerable<IScenario> scenarios, long? freeBytes = null)
    {
        var files = scenarios.SelectMany(scenario => scenario.FilesOf(options)).DistinctBy(file => file.Name).ToArray();
        var missing = files.Where(file => !file.IsKept || !Path.Exists(Path.Combine(options.DataFolder, file.Name))).Sum(file => file.Bytes);
        long free;
        try
        {
            Directory.CreateDirectory(options.DataFolder);
            free = freeBytes ?? new DriveInfo(Path.GetFullPath(options.DataFolder)).AvailableFreeSpace;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UnusableFileException($"{options.DataFolder} cannot be used for data: {exception.Message}", exception);
        }

        return missing <= free
            ? $"data in {options.DataFolder}: {Gigabytes(files.Sum(file => file.Bytes))}, of which {Gigabytes(missing)} are still to be written; {Gigabytes(free)} are free"
            : throw new UnusableFileException(
                $"The data takes {Gigabytes(missing)} more in {options.DataFolder}, whose disk has {Gigabytes(free)} free: give --data a folder on another disk, or --mib a smaller size.");
    }

    private static string Gigabytes(long bytes) => FormattableString.Invariant($"{bytes / 1e9:0.00} GB");
}
