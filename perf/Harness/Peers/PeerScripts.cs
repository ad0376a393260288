namespace IlgpuLoader.Harness;

/// <summary>The scripts of perf/peers.</summary>
internal static class PeerScripts
{
    // Debian's python3-torch and python3-numpy are installed for this one.
    private const string Python = "/usr/bin/python3";

    private static string Folder => Path.Combine(ToolProcess.Root, "perf", "peers");

    public static Peer TorchLoad(string what, string mode) => Start($"torch.load {what}", "torch_load.py", mode);

    public static Peer NumpyLoad(string what, string mode) => Start(what, "numpy_load.py", mode);

    public static Peer SafetensorsLoad() => Start("safetensors load_file", "safetensors_load.py", "torch");

    public static Peer LlamaCppLoad() => Start("llama.cpp", "llama_cpp_load.py");

    /// <summary>Makes a copy of a PyTorch file in the format before zip archives.</summary>
    /// <returns>Null where it is there; else why not.</returns>
    public static async Task<string?> WriteLegacyAsync(string from, string to, CancellationToken cancellationToken)
    {
        if (File.Exists(to))
        {
            return null;
        }

        if (!File.Exists(Python))
        {
            return $"there is no {Python}";
        }

        var partial = to + ".partial";
        try
        {
            await ToolProcess.StartAsync(Python, [Path.Combine(Folder, "torch_legacy.py"), from, partial], cancellationToken);
        }
        catch (InvalidOperationException exception)
        {
            return exception.Message;
        }

        File.Move(partial, to);
        return null;
    }

    private static Peer Start(string name, string script, params string[] arguments) =>
        Peer.Start(name, Python, [Path.Combine(Folder, script), .. arguments]);
}
