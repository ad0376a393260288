using Xunit;

namespace IlgpuLoader.TestKit;

/// <summary>A test over the checkpoints of public repositories, which are not part of this one; skipped where they are missing.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RealFilesFactAttribute : FactAttribute
{
    public RealFilesFactAttribute()
    {
        if (!File.Exists(Path.Combine(RepositoryPaths.Real, "manifest.json")))
        {
            Skip = $"The real checkpoints are not on this machine (looked for {RepositoryPaths.Real}).";
        }
    }
}
