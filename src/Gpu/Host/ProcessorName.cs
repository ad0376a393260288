using System.Runtime.InteropServices;

namespace IlgpuLoader.Gpu;

/// <summary>The processor's name, which .NET has no call for.</summary>
internal static class ProcessorName
{
    /// <summary>The name the processor reports, or its architecture.</summary>
    public static string Current { get; } = Read();

    private static string Read()
    {
        const string field = "model name";
        if (File.Exists("/proc/cpuinfo"))
        {
            var line = File.ReadLines("/proc/cpuinfo").FirstOrDefault(text => text.StartsWith(field, StringComparison.Ordinal));
            if (line?.IndexOf(':') is { } colon and > 0)
            {
                return line[(colon + 1)..].Trim();
            }
        }

        return RuntimeInformation.ProcessArchitecture.ToString();
    }
}
