using System.Diagnostics;

namespace IlgpuLoader.Harness;

/// <summary>Runs the tool, or this program again, as a process of its own.</summary>
internal static class ToolProcess
{
    private static readonly string Configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;

    /// <summary>The repository's folder.</summary>
    /// <exception cref="DirectoryNotFoundException">This program is not below it.</exception>
    public static string Root { get; } = FindRoot();

    /// <summary>The tool that was built with this program.</summary>
    public static string Tool { get; } = Path.Combine(
        Root, "src", "Cli", "bin", Configuration, Path.GetFileName(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar)), "ilgpu-loader");

    /// <summary>This program.</summary>
    public static string Self { get; } = Path.Combine(AppContext.BaseDirectory, "IlgpuLoader.Harness" + (OperatingSystem.IsWindows() ? ".exe" : ""));

    /// <summary>Runs the tool that was built with this program.</summary>
    /// <returns>What it wrote to standard output.</returns>
    public static Task<string> RunAsync(string[] arguments, CancellationToken cancellationToken) => StartAsync(Tool, arguments, cancellationToken);

    /// <summary>Runs this program again.</summary>
    public static Task<string> RunSelfAsync(string[] arguments, CancellationToken cancellationToken) =>
        StartAsync(Self, arguments, cancellationToken);

    /// <summary>Runs a program.</summary>
    /// <returns>What it wrote to standard output.</returns>
    /// <exception cref="InvalidOperationException">It ended with another code than 0.</exception>
    public static async Task<string> StartAsync(string path, string[] arguments, CancellationToken cancellationToken)
    {
        using var process = Process.Start(new ProcessStartInfo(path, arguments) { RedirectStandardOutput = true, UseShellExecute = false })!;
        try
        {
            var output = await process.StandardOutput.ReadToEndAsync(cancellationToken);
            await process.WaitForExitAsync(cancellationToken);
            return process.ExitCode == 0
                ? output
                : throw new InvalidOperationException($"{Path.GetFileName(path)} {string.Join(' ', arguments)} ended with {process.ExitCode}.");
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            throw;
        }
    }

    /// <summary>Finds a program on the path; null where it is not there.</summary>
    public static string? Find(string program) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists);

    private static string FindRoot()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "ilgpu-loader.sln")))
        {
            root = root.Parent;
        }

        return root?.FullName ?? throw new DirectoryNotFoundException("The harness runs from a folder below the repository's root.");
    }
}
