namespace IlgpuLoader.Microbenchmarks;

/// <summary>A folder for made-up checkpoints that is deleted at the end.</summary>
internal sealed class CheckpointFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("ilgpu-loader-bench-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
