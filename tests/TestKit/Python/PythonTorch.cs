using System.Diagnostics;
using System.Text.Json;

namespace IlgpuLoader.TestKit;

/// <summary>Runs scripts with the system's Python and its PyTorch (Debian's <c>python3-torch</c>), the oracle of what is written for it.</summary>
public static class PythonTorch
{
    private const string Python = "/usr/bin/python3";

    // Looked for, not imported: that alone takes seconds.
    private const string Package = "/usr/lib/python3/dist-packages/torch/__init__.py";

    /// <summary>Why there is none on this machine; null where there is.</summary>
    public static string? Missing =>
        File.Exists(Python) && File.Exists(Package) ? null : $"PyTorch is not on this machine (looked for {Python} and {Package}).";

    /// <summary>Runs a script that prints one JSON value.</summary>
    /// <param name="script">The script.</param>
    /// <param name="arguments">What it finds in <c>sys.argv</c> from 1 on.</param>
    /// <exception cref="InvalidOperationException">The script failed; the message has what it printed.</exception>
    public static async Task<JsonElement> RunAsync(string script, params string[] arguments)
    {
        var start = new ProcessStartInfo(Python) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        foreach (var argument in (string[])["-I", "-c", script, .. arguments])
        {
            start.ArgumentList.Add(argument);
        }

        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"Python ended with {process.ExitCode}: {await errors}");
        }

        using var document = JsonDocument.Parse(await output);
        return document.RootElement.Clone();
    }
}
