namespace IlgpuLoader.Harness;

/// <summary>Brings files into the page cache, with plain reads.</summary>
internal static class WarmFiles
{
    private const int BlockBytes = 4 << 20;

    /// <summary>Reads files once from beginning to end.</summary>
    public static void Read(IEnumerable<string> paths, CancellationToken cancellationToken)
    {
        var block = new byte[BlockBytes];
        foreach (var path in paths)
        {
            using var file = File.OpenHandle(path);
            for (long offset = 0, read = 1; read > 0; offset += read)
            {
                cancellationToken.ThrowIfCancellationRequested();
                read = RandomAccess.Read(file, block, offset);
            }
        }
    }
}
