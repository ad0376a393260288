namespace IlgpuLoader.TestKit;

/// <summary>Where things are on the machine that runs the tests.</summary>
public static class RepositoryPaths
{
    /// <summary>The repository's root: the folder with the solution, found upwards from the test assembly.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The folder with reference material beside the repository; it need not exist.</summary>
    public static string Shared { get; } = Path.GetFullPath(Path.Combine(Root, "..", "shared"));

    /// <summary>The checkpoints of public repositories; the folder need not exist.</summary>
    public static string Real { get; } = Path.Combine(Shared, "real");

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "ilgpu-loader.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException("The tests run from a folder below the repository's root.");
    }
}
