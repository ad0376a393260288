using System.Reflection;
using System.Text.RegularExpressions;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.PTX;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What the kernels that move and make elements compile to for an H100, which takes no GPU to see.</summary>
[Trait("Area", "Devices")]
public sealed partial class MemoryKernelPtxTests : IDisposable
{
    private readonly Context _context = Context.Create(builder => builder.CPU(CPUDevice.Default).Optimize(OptimizationLevel.O2));

    [Fact]
    public void Every_kernel_works_on_global_memory_without_calls_divisions_or_spills()
    {
        var texts = Compile(_ => true);
        // Copy and fill in five widths, random values of eight types, two that swap.
        Assert.Equal(20, texts.Count);
        Assert.All(texts, text =>
        {
            Assert.Contains("st.global.", text, StringComparison.Ordinal);
            foreach (var unwanted in new[] { ".local", "call", "fma", ".ftz", "ld.b", "st.b", "ld.v", "st.v", "div." })
            {
                Assert.DoesNotContain(unwanted, text, StringComparison.Ordinal);
            }
        });
    }

    [Fact]
    public void The_widest_words_are_loaded_and_stored_at_once()
    {
        var texts = Compile(method => method.GetParameters().Any(parameter => parameter.ParameterType == typeof(ArrayView<Word16>)));
        Assert.Equal(3, texts.Count);
        Assert.All(texts, text => Assert.Contains("st.global.v2.b64", text, StringComparison.Ordinal));
        Assert.Equal(2, texts.Count(text => text.Contains("ld.global.v2.b64", StringComparison.Ordinal)));
    }

    [Fact]
    public void Random_values_are_stored_four_at_once_and_no_product_can_be_fused()
    {
        var texts = Compile(method => method.DeclaringType == typeof(UniformKernels));
        Assert.Equal(Codecs.Targets.Length, texts.Count);
        Assert.Equal(1, texts.Count(text => text.Contains("st.global.v4.b32", StringComparison.Ordinal)));
        Assert.Equal(2, texts.Count(text => text.Contains("st.global.v2.b32", StringComparison.Ordinal)));
        Assert.All(texts, text =>
        {
            // The last product of each value goes through an integer register, where the assembler cannot fuse it into the addition.
            var sums = Sum().Matches(text);
            Assert.True(sums.Count >= 5, $"{sums.Count} sums");
            foreach (Match product in Product().Matches(text))
            {
                Assert.DoesNotMatch($@"add\.f32\s+%f\d+, [^;]*{Regex.Escape(product.Groups["result"].Value)}\b", text);
            }
        });
    }

    public void Dispose() => _context.Dispose();

    private List<string> Compile(Func<MethodInfo, bool> filter)
    {
        using var accelerator = _context.CreateCPUAccelerator(0);
        using var backend = new PTXBackend(_context, CudaArchitecture.SM_90, CudaInstructionSet.ISA_88, null!);
        return
        [
            .. new MemoryKernels(accelerator).Methods.Where(filter).Select(method =>
                ((PTXCompiledKernel)backend.Compile(EntryPointDescription.FromImplicitlyGroupedKernel(method), default)).PTXAssembly),
        ];
    }

    [GeneratedRegex(@"mul\.f32\s+(?<result>%f\d+),", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Product();

    [GeneratedRegex(@"add\.f32\s+", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Sum();
}
