namespace IlgpuLoader.TestKit;

/// <summary>Runs scripts with the system's Python and its NumPy, the oracle of what is written for it.</summary>
public static class PythonNumpy
{
    // Looked for, not imported.
    private const string Package = "/usr/lib/python3/dist-packages/numpy/__init__.py";

    /// <summary>Why there is none on this machine; null where there is.</summary>
    public static string? Missing =>
        SystemPython.Missing ?? (File.Exists(Package) ? null : $"NumPy is not on this machine (looked for {Package}).");

    /// <summary>Runs a script and gives what it prints.</summary>
    /// <param name="script">The script; <c>np</c>, <c>os</c> and <c>sys</c> are imported.</param>
    /// <param name="arguments">What it finds in <c>sys.argv</c> from 1 on.</param>
    /// <exception cref="InvalidOperationException">The script failed; the message has what it printed.</exception>
    public static Task<string> RunAsync(string script, params string[] arguments) =>
        SystemPython.RunAsync("import os, sys\nimport numpy as np\n" + script, arguments);
}
