namespace IlgpuLoader.Loading;

/// <summary>The embedding, the layers and the last normalisation of a decoder: what is called <c>model</c>.</summary>
internal sealed class DecoderLayers : Module;
