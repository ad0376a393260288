using System.Runtime.InteropServices;

namespace IlgpuLoader.Gpu;

/// <summary>Two words that are stored at once.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct TwoWords(int First, int Second);

/// <summary>Four words that are stored at once: what a GPU's thread stores at most.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct FourWords(int First, int Second, int Third, int Fourth);

/// <summary>Four words of eight bytes, stored by two stores.</summary>
[StructLayout(LayoutKind.Sequential)]
internal readonly record struct FourLongs(long First, long Second, long Third, long Fourth);
