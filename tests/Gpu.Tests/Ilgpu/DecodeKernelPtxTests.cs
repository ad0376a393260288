using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What a Hopper GPU's driver gets of each decode kernel. The list is the codec table's.</summary>
[Trait("Area", "Ilgpu")]
public sealed class DecodeKernelPtxTests(PtxCompiler compiler) : IClassFixture<PtxCompiler>
{
    [Fact]
    public void Every_kernel_loads_and_stores_wide_and_stays_in_registers()
    {
        var kernels = 0;
        foreach (var codec in Codecs.All.Where(codec => codec.ValuesPerElement == 1))
        {
            foreach (var target in Codecs.Targets.Where(target => target != codec.DType))
            {
                foreach (var reader in new[] { DecodeKernel.ReaderFor(codec, 0), ReaderKind.Funnel }.Distinct())
                {
                    var kernel = DecodeKernel.Of(codec, target, reader);
                    var name = $"{codec.DType.Name} to {target.Name} ({reader})";
                    Check(name, compiler.Compile(kernel.Method), codec.DType, target, reader);
                    kernels++;
                }
            }
        }

        // 47 codecs of their own and 8 targets, of which all but F64 are among them; one or two readers each.
        Assert.InRange(kernels, 47 * 7, 47 * 8 * 2);
    }

    private static void Check(string name, PtxText ptx, DType stored, DType target, ReaderKind reader)
    {
        Assert.True(ptx.Operations.Any(), $"{name}: no instruction was found.");
        Assert.DoesNotContain(".local", ptx.Text, StringComparison.Ordinal);
        Assert.DoesNotContain(ptx.Operations, operation => operation.StartsWith("call", StringComparison.Ordinal));

        // 64-bit divisions are slow, and generic addresses hide which memory is meant.
        Assert.DoesNotContain(ptx.Operations, operation => operation.StartsWith("div.", StringComparison.Ordinal));
        Assert.DoesNotContain(ptx.Operations, operation => operation.StartsWith("ld.b", StringComparison.Ordinal) || operation.StartsWith("st.b", StringComparison.Ordinal));
        Assert.True(!ptx.DivergentBranchesSaidUniform.Any(), $"{name}: {string.Join(", ", ptx.DivergentBranchesSaidUniform)}");

        Assert.True(ptx.GlobalLoads.All(bytes => bytes >= 4), $"{name}: loads of {string.Join(", ", ptx.GlobalLoads)} bytes");
        var widest = reader == ReaderKind.Wide && !stored.IsBlock ? 8 : 4;
        Assert.True(ptx.GlobalLoads.Max() >= widest, $"{name}: no load of {widest} bytes");

        // Four values at once, as wide as a thread can; what is left of an output one by one.
        var four = Math.Min(16, 4 * target.BlockSize);
        Assert.Contains(four, ptx.GlobalStores);
        Assert.All(ptx.GlobalStores, bytes => Assert.True(bytes == four || (!stored.IsBlock && bytes == target.BlockSize), $"{name}: a store of {bytes} bytes"));
    }
}
